"""Speed of the kernel compared with other libraries (`make benchmark`), and the validation of the labels."""

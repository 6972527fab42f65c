"""The distribution that given weights were drawn from: the catalogue of laws, tests of goodness of fit, structures."""

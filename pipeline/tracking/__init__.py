"""Publishing results to MLflow. The only package that imports mlflow."""

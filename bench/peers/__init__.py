"""Other people's programs doing the same job, each as a script for the environment of `bench/requirements.txt`."""

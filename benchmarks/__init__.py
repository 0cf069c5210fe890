"""The numbers: this project beside its peers, in one run."""

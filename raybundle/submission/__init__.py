"""From a bundle and a cluster to a job."""

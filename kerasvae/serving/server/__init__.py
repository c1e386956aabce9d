"""`kerasvae serve`: bundles behind the Open Inference Protocol, with MLServer. Needs the extra `serve`."""

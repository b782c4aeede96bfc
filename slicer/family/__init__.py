"""From a network and a domain to a bundle: cells, workers, members, files."""

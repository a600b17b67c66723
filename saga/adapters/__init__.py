"""The technologies behind the ports, one package each; none imports another."""

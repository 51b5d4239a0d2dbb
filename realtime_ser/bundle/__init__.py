"""Model bundles: finding, checking and opening the folder that holds the networks and what they need."""

"""Resources of the JSON API, and what all of them share."""

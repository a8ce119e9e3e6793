"""How enterprises see them: JSON, live stream and pages."""

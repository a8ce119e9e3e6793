"""How readings get in: payload decoders and the MQTT session."""

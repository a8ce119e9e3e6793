"""The projection of the record in InfluxDB, which Grafana reads."""

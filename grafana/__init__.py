"""How environmental staff see it in Grafana: dashboards and alert rules as code."""

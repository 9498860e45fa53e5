"""Whoever outgrows one machine: optional extras, the only importers of Kafka, Spark and Airflow."""

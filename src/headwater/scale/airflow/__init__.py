"""Airflow runs the jobs of a project: ``dags`` writes its files. Nothing here imports Airflow."""

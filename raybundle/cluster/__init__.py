"""The Ray side: Jobs API client, runtime_env, embedded cluster."""

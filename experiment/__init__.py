"""The execution side: template, environment, sandbox, attempts, results and checks. Never imports `ai_sci.agent`."""

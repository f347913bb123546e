"""Language models of OpenRouter and of servers that speak OpenAI's protocol."""

"""What people do with OpenAI's client, against the gateway that the environment names."""

import os

import openai

client = openai.OpenAI()
model = os.environ["MODEL"]
question = [{"role": "user", "content": "Name the capital city of France."}]

# Models are listed by the shortest name that means them and no other that the caller may use.
listed = [listed.id for listed in client.models.list()]
assert listed == [model.split("/")[1]], listed

answer = client.chat.completions.create(model=model, messages=question, temperature=0, max_tokens=32)
assert "Paris" in answer.choices[0].message.content, answer
assert answer.choices[0].finish_reason == "stop", answer
assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer

stream = client.chat.completions.create(
    model=model, messages=question, temperature=0, max_tokens=32, stream=True, stream_options={"include_usage": True}
)
chunks = list(stream)
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
assert text == answer.choices[0].message.content, text
assert chunks[-1].usage.completion_tokens == answer.usage.completion_tokens, chunks[-1]

completion = client.completions.create(
    model=model, prompt="The capital of France is", temperature=0, max_tokens=4, echo=True, logprobs=2
)
choice = completion.choices[0]
assert choice.text.startswith("The capital of France is"), choice
assert len(choice.logprobs.tokens) == len(choice.logprobs.token_logprobs), choice
assert choice.logprobs.token_logprobs[0] is None, "nothing comes before the first token"
assert all(logprob <= 0 for logprob in choice.logprobs.token_logprobs[1:]), choice

first = client.chat.completions.create(model=model, messages=question, temperature=1, seed=7, max_tokens=12)
second = client.chat.completions.create(model=model, messages=question, temperature=1, seed=7, max_tokens=12)
assert first.choices[0].message.content == second.choices[0].message.content, "equal seeds, other answers"

try:
    client.with_options(api_key="wrong").models.list()
except openai.AuthenticationError:
    pass
else:
    raise AssertionError("a wrong key was accepted")

try:
    client.chat.completions.create(model=f"{model}-unknown", messages=question)
except openai.NotFoundError:
    pass
else:
    raise AssertionError("an unknown model answered")

print("all good")

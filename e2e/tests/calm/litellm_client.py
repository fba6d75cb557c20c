"""What people do with LiteLLM as a library."""

import os

import litellm

model, embedder = f"openai/{os.environ['MODEL']}", f"openai/{os.environ['EMBEDDER']}"
question = [{"role": "user", "content": "Name the capital city of France."}]
answer = litellm.completion(model=model, messages=question, temperature=0, max_tokens=16)
assert "Paris" in answer.choices[0].message.content, answer
chunks = litellm.completion(model=model, messages=question, temperature=0, max_tokens=16, stream=True)
streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
assert streamed == answer.choices[0].message.content, streamed
vectors = litellm.embedding(model=embedder, input=["a cat"])
assert len(vectors.data[0]["embedding"]) == 384, vectors
try:
    litellm.completion(model=f"{model}-unknown", messages=question)
except litellm.exceptions.NotFoundError:
    pass
else:
    raise AssertionError("an unknown model answered")
print("all good")

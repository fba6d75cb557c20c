"""What else people do with OpenAI's client: asynchronously, with tools, for vectors."""

import asyncio
import os

import openai

model, embedder = os.environ["MODEL"], os.environ["EMBEDDER"]
question = [{"role": "user", "content": "Name the capital city of France."}]


async def main():
    client = openai.AsyncOpenAI()
    whole, stream = await asyncio.gather(
        client.chat.completions.create(model=model, messages=question, temperature=0, max_tokens=16),
        client.chat.completions.create(model=model, messages=question, temperature=0, max_tokens=16, stream=True),
    )
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert text == whole.choices[0].message.content and "Paris" in text, text

    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "visit", "description": "Goes to a city.", "parameters": schema}}
    choice = {"type": "function", "function": {"name": "visit"}}
    called = await client.chat.completions.create(
        model=model, messages=question, tools=[tool], tool_choice=choice, temperature=0, max_tokens=64
    )
    calls = called.choices[0].message.tool_calls
    assert calls and calls[0].function.name == "visit" and "city" in calls[0].function.arguments, called

    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    formed = await client.chat.completions.create(
        model=model, messages=question, response_format=form, temperature=0, max_tokens=64
    )
    assert formed.choices[0].message.content.lstrip().startswith("{"), formed

    vectors = await client.embeddings.create(model=embedder, input=["a cat", "a kitten", "the stock market"])
    cat, kitten, market = [row.embedding for row in vectors.data]
    alike = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert alike(cat, kitten) > alike(cat, market), "vectors tell nothing"
    await client.close()


asyncio.run(main())
print("all good")

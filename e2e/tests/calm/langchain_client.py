"""What people do with LangChain."""

import os

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

chat = ChatOpenAI(model=os.environ["MODEL"], temperature=0, max_tokens=16)
question = "Name the capital city of France."
answer = chat.invoke(question)
assert "Paris" in answer.content, answer
assert answer.usage_metadata["output_tokens"] > 0, answer
streamed = "".join(chunk.content for chunk in chat.stream(question))
assert streamed == answer.content, streamed
assert [it.content for it in chat.batch([question, question])] == [answer.content] * 2

# Without this it would send token ids of a model of OpenAI's.
embeddings = OpenAIEmbeddings(model=os.environ["EMBEDDER"], check_embedding_ctx_length=False)
assert len(embeddings.embed_query("a cat")) == 384
print("all good")

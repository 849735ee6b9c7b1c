// What a user of the npm package `openai` would write.
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const Recipe = z.object({ title: z.string(), minutes: z.number().int(), steps: z.array(z.string()) });
const parameters = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
const kindOf = (value) =>
  Object.fromEntries(Object.entries(value).map(([name, each]) => [name, Array.isArray(each) ? "array" : typeof each]));

const client = ({ key, url }) => new OpenAI({ apiKey: key, baseURL: `${url}/v1`, maxRetries: 0, timeout: 60_000 });
const messages = (given) => [
  { role: "system", content: "You are a lighthouse keeper." },
  { role: "user", content: given.prompt ?? "Say hello." },
];
const usageOf = (usage) =>
  usage ? [usage.prompt_tokens ?? usage.input_tokens, usage.completion_tokens ?? usage.output_tokens] : null;

const failure = async (call) => {
  try {
    await call();
  } catch (error) {
    return {
      error: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? null,
      param: error.param ?? null,
      type: error.type ?? null,
      message: error.message,
      requestId: error.requestID ?? null,
    };
  }
  return { error: null };
};

const steps = {
  async chat(given) {
    const reply = await client(given).chat.completions.create({ model: given.model, messages: messages(given) });
    const [choice] = reply.choices;
    return { text: choice.message.content, finish: choice.finish_reason, usage: usageOf(reply.usage) };
  },

  async stream(given) {
    const chunks = await client(given).chat.completions.create({
      model: given.model,
      messages: messages(given),
      stream: true,
      stream_options: { include_usage: true },
    });
    const read = { text: "", finishes: [], usages: [] };
    for await (const chunk of chunks) {
      read.text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.finish_reason) read.finishes.push(chunk.choices[0].finish_reason);
      if (chunk.usage) read.usages.push(usageOf(chunk.usage));
    }
    return read;
  },

  // The package calls the user's function and goes on by itself.
  async tools(given) {
    const called = [];
    const weather = (wanted) => {
      called.push(kindOf(wanted));
      return { sky: "clear" };
    };
    const runner = client(given).chat.completions.runTools({
      model: given.model,
      messages: messages(given),
      tools: [
        { type: "function", function: { name: "weather", parse: JSON.parse, function: weather, parameters, strict: true } },
      ],
    });
    return { text: await runner.finalContent(), called };
  },

  async parse(given) {
    const used = client(given);
    const chat = await used.chat.completions.parse({
      model: given.model,
      messages: messages(given),
      response_format: zodResponseFormat(Recipe, "recipe"),
    });
    const response = await used.responses.parse({
      model: given.model,
      input: "A recipe, please.",
      text: { format: zodTextFormat(Recipe, "recipe") },
    });
    return { chat: kindOf(chat.choices[0].message.parsed), responses: kindOf(response.output_parsed) };
  },

  async responses(given) {
    const used = client(given);
    const first = await used.responses.create({ model: given.model, input: "Say hello." });
    const second = await used.responses.create({ model: given.model, input: "Again.", previous_response_id: first.id });
    const fetched = await used.responses.retrieve(first.id);
    return {
      text: first.output_text,
      status: first.status,
      previous: second.previous_response_id === first.id,
      fetched: fetched.output_text === first.output_text,
    };
  },

  async responsesStream(given) {
    const stream = client(given).responses.stream({ model: given.model, input: "Say hello." });
    const kinds = new Set();
    let text = "";
    for await (const event of stream) {
      kinds.add(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    const final = await stream.finalResponse();
    return { kinds: [...kinds], text, final: final.output_text, usage: usageOf(final.usage) };
  },

  async embed(given) {
    const reply = await client(given).embeddings.create({ model: given.model, input: ["A cat.", "A dog."] });
    return { dimensions: reply.data.map((each) => each.embedding.length), numbers: typeof reply.data[0].embedding[0] };
  },

  async draw(given) {
    const reply = await client(given).images.generate({ model: given.model, prompt: "a red teapot", ...given.options });
    const [first] = reply.data;
    if (first.b64_json) await writeFile(given.path, Buffer.from(first.b64_json, "base64"));
    return { count: reply.data.length, url: first.url ?? null };
  },

  async edit(given) {
    const image = await toFile(createReadStream(given.source), "source.png", { type: "image/png" });
    const reply = await client(given).images.edit({ model: given.model, image, prompt: "make it red" });
    await writeFile(given.path, Buffer.from(reply.data[0].b64_json, "base64"));
    return { count: reply.data.length };
  },

  async speakAndTranscribe(given) {
    const used = client(given);
    const input = "The lighthouse is open on Sunday.";
    const spoken = await used.audio.speech.create({ model: given.model, voice: "alloy", input, response_format: "wav" });
    const file = await toFile(Buffer.from(await spoken.arrayBuffer()), "speech.wav", { type: "audio/wav" });
    const heard = await used.audio.transcriptions.create({ model: given.transcriber, file });
    return { type: spoken.headers.get("content-type"), size: file.size, text: heard.text };
  },

  async models(given) {
    const listed = [];
    for await (const model of client(given).models.list()) listed.push(model.id);
    return { listed };
  },

  async fail(given) {
    const sent = { model: given.model, messages: messages(given), ...given.body };
    return failure(() => client(given).chat.completions.create(sent));
  },

  async brokenStream(given) {
    const read = { text: "", finishes: [] };
    const told = await failure(async () => {
      const sent = { model: given.model, messages: messages(given), stream: true };
      for await (const chunk of await client(given).chat.completions.create(sent)) {
        read.text += chunk.choices[0]?.delta.content ?? "";
        if (chunk.choices[0]?.finish_reason) read.finishes.push(chunk.choices[0].finish_reason);
      }
    });
    return { ...told, ...read };
  },
};

const [names, text] = process.argv.slice(2);
const given = JSON.parse(text);
for (const name of names.split(",")) {
  console.error(`step \`${name}\``);
  const facts = await steps[name]({ ...given, ...given.own?.[name] });
  console.log(JSON.stringify({ step: name, facts }));
}

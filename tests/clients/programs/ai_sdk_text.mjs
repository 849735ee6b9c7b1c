// What a user of Vercel's AI SDK would write, with a provider of each format.
import { readFile, writeFile } from "node:fs/promises";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  embedMany,
  experimental_generateSpeech as generateSpeech,
  experimental_transcribe as transcribeSpeech,
  generateImage,
  generateObject,
  generateText,
  stepCountIs,
  streamObject,
  streamText,
  tool,
} from "ai";
import { z } from "zod";

const Recipe = z.object({ title: z.string(), minutes: z.number().int(), steps: z.array(z.string()) });
const kindOf = (value) =>
  Object.fromEntries(Object.entries(value).map(([name, each]) => [name, Array.isArray(each) ? "array" : typeof each]));

const openai = ({ key, url }) => createOpenAI({ apiKey: key, baseURL: `${url}/v1` });
const compatible = ({ key, url }) =>
  createOpenAICompatible({
    name: "halley",
    apiKey: key,
    baseURL: `${url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
const google = ({ key, url }) => createGoogleGenerativeAI({ apiKey: key, baseURL: `${url}/v1beta` });
const models = {
  responses: (given) => openai(given).responses(given.model),
  chat: (given) => openai(given).chat(given.model),
  compatible: (given) => compatible(given)(given.model),
  anthropic: ({ key, url, model }) => createAnthropic({ apiKey: key, baseURL: `${url}/v1` })(model),
  google: (given) => google(given)(given.model),
};
const embedders = {
  openai: (given) => openai(given).embedding(given.model),
  compatible: (given) => compatible(given).textEmbeddingModel(given.model),
  google: (given) => google(given).textEmbedding(given.model),
};
const settings = (given) => ({
  model: models[given.kind](given),
  system: "You are a lighthouse keeper.",
  prompt: given.prompt ?? "Say hello.",
  maxRetries: 0,
});

const offered = (called) => ({
  weather: tool({
    description: "Looks up the weather",
    inputSchema: z.object({ city: z.string(), days: z.number().int() }),
    execute: async (input) => {
      called.push(kindOf(input));
      return { sky: "clear" };
    },
  }),
});

const steps = {
  async generate(given) {
    const { text, finishReason, usage } = await generateText(settings(given));
    return { text, finish: finishReason, usage: [usage.inputTokens, usage.outputTokens] };
  },

  async stream(given) {
    const result = streamText({ ...settings(given), onError: () => {} });
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    const usage = await result.usage;
    return {
      pieces: pieces.length,
      text: pieces.join(""),
      finish: await result.finishReason,
      usage: [usage.inputTokens, usage.outputTokens],
    };
  },

  // The SDK calls the user's function and goes on by itself.
  async tools(given) {
    const called = [];
    const result = await generateText({ ...settings(given), tools: offered(called), stopWhen: stepCountIs(3) });
    return { called, steps: result.steps.map((step) => step.finishReason), text: result.text };
  },

  async toolsStreamed(given) {
    const called = [];
    const result = streamText({ ...settings(given), tools: offered(called), stopWhen: stepCountIs(3) });
    const kinds = new Set();
    for await (const part of result.fullStream) kinds.add(part.type);
    return { called, kinds: [...kinds], text: await result.text };
  },

  async object(given) {
    const { object } = await generateObject({ ...settings(given), schema: Recipe });
    return kindOf(object);
  },

  async objectStreamed(given) {
    const result = streamObject({ ...settings(given), schema: Recipe });
    let partials = 0;
    for await (const _ of result.partialObjectStream) partials += 1;
    return { partials, kinds: kindOf(await result.object) };
  },

  async vision(given) {
    const { prompt, ...rest } = settings(given);
    const content = [
      { type: "text", text: prompt },
      { type: "image", image: await readFile(given.source), mediaType: "image/png" },
    ];
    const { text } = await generateText({ ...rest, messages: [{ role: "user", content }] });
    return { text };
  },

  async embed(given) {
    const { embeddings, usage } = await embedMany({
      model: embedders[given.kind](given),
      values: ["A cat.", "A dog."],
      maxRetries: 0,
    });
    return { dimensions: embeddings.map((each) => each.length), tokens: usage.tokens ?? null };
  },

  async draw(given) {
    const model = openai(given).image(given.model);
    const { image } = await generateImage({ model, prompt: "a red teapot", size: given.size, maxRetries: 0 });
    await writeFile(given.path, image.uint8Array);
    return { mediaType: image.mediaType };
  },

  async speakAndTranscribe(given) {
    const used = openai(given);
    const text = "The lighthouse is open on Sunday.";
    const { audio } = await generateSpeech({ model: used.speech(given.model), text, outputFormat: "wav", maxRetries: 0 });
    const heard = await transcribeSpeech({
      model: used.transcription(given.transcriber),
      audio: audio.uint8Array,
      maxRetries: 0,
    });
    return { size: audio.uint8Array.length, text: heard.text };
  },

  async fail(given) {
    try {
      await generateText(settings(given));
    } catch (error) {
      return { error: error.name, status: error.statusCode ?? null, message: error.message };
    }
    return { error: null };
  },
};

const [names, text] = process.argv.slice(2);
const given = JSON.parse(text);
for (const name of names.split(",")) {
  console.error(`step \`${name}\``);
  const facts = await steps[name]({ ...given, ...given.own?.[name] });
  console.log(JSON.stringify({ step: name, facts }));
}

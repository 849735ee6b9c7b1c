// What a user of the npm package `@anthropic-ai/sdk` would write.
import Anthropic from "@anthropic-ai/sdk";

const tools = [
  {
    name: "weather",
    description: "Looks up the weather",
    input_schema: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
      required: ["city", "days"],
    },
  },
];
const kindOf = (value) => Object.fromEntries(Object.entries(value).map(([name, each]) => [name, typeof each]));

const client = ({ key, url }) => new Anthropic({ apiKey: key, baseURL: url, maxRetries: 0, timeout: 60_000 });
const request = (given, options = {}) => ({
  model: given.model,
  max_tokens: 2_048,
  messages: [{ role: "user", content: given.prompt ?? "Say hello." }],
  ...options,
});
const textOf = (message) => message.content.map((block) => (block.type === "text" ? block.text : "")).join("");

const steps = {
  async create(given) {
    const message = await client(given).messages.create(request(given, { system: "You are a lighthouse keeper." }));
    const { input_tokens: input, output_tokens: output } = message.usage;
    return { text: textOf(message), stop: message.stop_reason, usage: [input, output] };
  },

  async stream(given) {
    const stream = client(given).messages.stream(request(given));
    let text = "";
    stream.on("text", (piece) => (text += piece));
    const final = await stream.finalMessage();
    return { text, final: textOf(final), stop: final.stop_reason };
  },

  async tools(given) {
    const used = client(given);
    const stream = used.messages.stream(request(given, { tools }));
    const first = await stream.finalMessage();
    const use = first.content.find((block) => block.type === "tool_use");
    const answer = { type: "tool_result", tool_use_id: use.id, content: "Sunny." };
    const turns = [
      { role: "user", content: "The weather?" },
      { role: "assistant", content: first.content },
      { role: "user", content: [answer] },
    ];
    const second = await used.messages.create(request(given, { tools, messages: turns }));
    return { stop: first.stop_reason, name: use.name, input: kindOf(use.input), text: textOf(second) };
  },

  async thinking(given) {
    const stream = client(given).messages.stream(request(given, { thinking: { type: "enabled", budget_tokens: 1_024 } }));
    const final = await stream.finalMessage();
    return { blocks: final.content.map((block) => block.type), signed: Boolean(final.content[0].signature) };
  },

  async count(given) {
    const { model, messages } = request(given);
    return { tokens: (await client(given).messages.countTokens({ model, messages })).input_tokens };
  },

  async models(given) {
    const listed = [];
    for await (const model of client(given).models.list({ limit: 5 })) listed.push(model.id);
    return { listed };
  },

  async fail(given) {
    try {
      await client(given).messages.create(request(given, given.body));
    } catch (error) {
      return { error: error.constructor.name, status: error.status, type: error.error?.error?.type ?? null };
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

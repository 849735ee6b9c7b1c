// What a user of the npm package `replicate` would write.
import { readFile, writeFile } from "node:fs/promises";
import Replicate, { validateWebhook } from "replicate";

const SCHNELL = "black-forest-labs/flux-schnell";
const KONTEXT = "black-forest-labs/flux-kontext-pro";

const client = ({ key, url }, options = {}) => new Replicate({ auth: key, baseUrl: `${url}/replicate/v1`, ...options });

// The package wraps only https links into files; those of a gateway on loopback stay as they are.
const read = (output) => (typeof output === "string" ? fetch(output).then((answer) => answer.blob()) : output.blob());

const save = async (output, path) => writeFile(path, Buffer.from(await (await read(output)).arrayBuffer()));

const actions = {
  async run(given) {
    const output = await client(given).run(SCHNELL, { input: given.input, ...given.options });
    await save(output[0], given.path);
    return { count: output.length };
  },

  async predict(given) {
    const used = client(given);
    const created = await used.predictions.create({ model: SCHNELL, input: given.input });
    const ended = await used.wait(created, { interval: 100 });
    const listed = [];
    for await (const page of used.paginate(used.predictions.list)) listed.push(...page.map((each) => each.id));
    const fetched = await used.predictions.get(created.id);
    return { first: created.status, status: ended.status, id: created.id, listed, fetched: fetched.status };
  },

  async cancel(given) {
    const used = client(given);
    const created = await used.predictions.create({ model: SCHNELL, input: given.input });
    await used.predictions.cancel(created.id);
    const ended = await used.wait(created, { interval: 100 });
    return { status: ended.status };
  },

  async edit(given) {
    const used = client(given);
    const source = new Blob([await readFile(given.source)], { type: "image/png" });
    const uploaded = await used.files.create(source, { purpose: "an edit" });
    const output = await used.run(KONTEXT, { input: { prompt: "make it red", input_image: uploaded.urls.get } });
    await save(output, given.path);
    const known = await used.files.get(uploaded.id);
    const gone = await used.files.delete(uploaded.id);
    return { size: known.size, metadata: known.metadata, gone };
  },

  async webhook(given) {
    const used = client(given);
    const created = await used.predictions.create({
      model: SCHNELL,
      input: given.input,
      webhook: given.receiver,
      webhook_events_filter: ["completed"],
    });
    return { id: created.id, webhook: created.webhook };
  },

  async validate(given) {
    const { key } = await client(given).webhooks.default.secret.get();
    const valid = await validateWebhook({ headers: given.headers, body: given.body }, key);
    const other = await validateWebhook({ headers: given.headers, body: `${given.body} ` }, key);
    return { valid, other };
  },

  async fail(given) {
    try {
      await client(given).run(SCHNELL, { input: given.input });
    } catch (error) {
      return { error: error.name, status: error.response?.status ?? null, message: error.message };
    }
    return { error: null };
  },
};

const [action, given] = process.argv.slice(2);
console.log(JSON.stringify(await actions[action](JSON.parse(given))));

// What a user of Vercel's AI SDK with `@ai-sdk/black-forest-labs` would write.
import { readFile, writeFile } from "node:fs/promises";
import { createBlackForestLabs } from "@ai-sdk/black-forest-labs";
import { generateImage } from "ai";

const model = (given) => createBlackForestLabs({ apiKey: given.key, baseURL: `${given.url}/flux/v1` }).image(given.model);

const generate = async (given, prompt) => {
  const { image, providerMetadata } = await generateImage({
    model: model(given),
    prompt,
    maxRetries: 0,
    providerOptions: { blackForestLabs: { pollIntervalMillis: 100, ...given.options } },
    ...given.settings,
  });
  await writeFile(given.path, image.uint8Array);
  return { mediaType: image.mediaType, facts: providerMetadata.blackForestLabs.images[0] };
};

const actions = {
  draw: (given) => generate(given, given.prompt),

  edit: async (given) => generate(given, { text: given.prompt, images: [await readFile(given.source)] }),

  async fail(given) {
    try {
      await generate(given, given.prompt);
    } catch (error) {
      return { error: error.name, status: error.statusCode ?? null, message: error.message };
    }
    return { error: null };
  },
};

const [action, given] = process.argv.slice(2);
console.log(JSON.stringify(await actions[action](JSON.parse(given))));

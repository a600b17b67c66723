// Prints what the official parser says of an AsyncAPI document: {"valid": …, "diagnostics": […]}.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
const told = diagnostics.map(({ code, message, path, severity }) => ({ code, message, path: path.join("."), severity }));
console.log(JSON.stringify({ valid: document !== undefined, diagnostics: told }));

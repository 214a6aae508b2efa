// Runs each entry of the module and prints a line for each that holds. A panic traps, which ends node with status 1.
import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]));
const { memory, count, name, run } = instance.exports;

function text(packed) {
  const [at, length] = [Number(packed & 0xffffffffn), Number((packed >> 32n) & 0xffffffffn)];
  return Buffer.from(memory.buffer, at, length).toString();
}

for (let number = 0; number < count(); number += 1) {
  const what = text(name(number));
  const wrong = run(number);
  if (wrong !== 0n) {
    console.error(`${what}: ${text(wrong)}`);
    process.exit(1);
  }
  console.log(`ok ${what}`);
}

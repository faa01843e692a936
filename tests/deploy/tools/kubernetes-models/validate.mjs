// Reads a list of the Prometheus operator's objects from standard input and prints what their
// definitions refuse: wrong types, words and patterns. One line per object, empty where nothing is
// wrong. Unknown fields pass here; the operator's own types refuse them (../operator-objects).
//   node validate.mjs FOLDER-OF-NODE_MODULES
import { readFileSync } from "node:fs";

const folder = `${process.argv[2]}/node_modules/@kubernetes-models/prometheus-operator`;
const kinds = await import(`${folder}/monitoring.coreos.com/v1/index.js`);

for (const object of JSON.parse(readFileSync(0))) {
  let line = "";
  try {
    new kinds[object.kind](object).validate();
  } catch (error) {
    line = error.message.replaceAll("\n", " ");
  }
  console.log(line);
}

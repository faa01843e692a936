// What Grafana shows of a panel, as text, by Grafana's own code for transformations, overrides,
// units and mappings. Reads [{panel, answers: {refId: result of a Prometheus query}}, …] from
// standard input; prints for each a table as [[title, …], [cell, …], …], a number as [text, …].
// package.json overrides d3-interpolate: of 3.0 on, Debian 12's Node 18 cannot require() it.
"use strict";

const { JSDOM } = require("jsdom");
global.window = new JSDOM("").window;
global.document = window.document;
global.navigator ??= window.navigator;
const grafana = require("@grafana/data");
const { firstValueFrom } = require("rxjs");

const theme = grafana.createTheme();
const asIs = (text) => text;

function registerAll() {
  const byId = new Map(Object.values(grafana.standardTransformers).map((each) => [each.id, each]));
  grafana.standardTransformersRegistry.setInit(() =>
    [...byId.values()].map((each) => ({ id: each.id, name: each.name, transformation: each })));
  // The options that every panel has, and a table's own, as far as they are not about drawing.
  const option = (path, process) => ({
    id: path, path, name: path, process: process || ((value) => value), shouldApply: () => true,
  });
  grafana.standardFieldConfigEditorRegistry.setInit(() => [
    option("unit"), option("noValue"), option("decimals"), option("links"),
    option("mappings", grafana.valueMappingsOverrideProcessor), option("thresholds"),
  ]);
}

// As Grafana's Prometheus data source makes them: a table has a column for each label.
function frame(target, rows) {
  const time = { name: "Time", type: grafana.FieldType.time, values: rows.map((r) => r.value[0] * 1000) };
  const numbers = rows.map((r) => Number(r.value[1]));
  const name = target.format === "table" ? `Value #${target.refId}` : "Value";
  const value = { name, type: grafana.FieldType.number, values: numbers };
  const labels = [...new Set(rows.flatMap((r) => Object.keys(r.metric)))].sort();
  const texts = labels.map((label) => ({
    name: label, type: grafana.FieldType.string, values: rows.map((r) => r.metric[label] ?? ""),
  }));
  return grafana.toDataFrame({ refId: target.refId, fields: [time, ...texts, value] });
}

async function show({ panel, answers }) {
  const frames = panel.targets.map((target) => frame(target, answers[target.refId]))
    .filter((each) => each.length > 0);
  const transformed = await firstValueFrom(
    grafana.transformDataFrame(panel.transformations || [], frames));
  const shown = { fieldConfig: panel.fieldConfig, replaceVariables: asIs, theme, timeZone: "utc" };
  if (panel.type === "stat") {
    return grafana.getFieldDisplayValues({
      ...shown, data: grafana.applyFieldOverrides({ ...shown, data: transformed }),
      reduceOptions: panel.options.reduceOptions,
    }).map((each) => grafana.formattedValueToString(each.display));
  }
  const [table] = grafana.applyFieldOverrides({ ...shown, data: transformed });
  const cells = (row) => table.fields.map((field) =>
    grafana.formattedValueToString(field.display(field.values[row])));
  const titles = table.fields.map((field) => grafana.getFieldDisplayName(field, table));
  return [titles, ...[...Array(table.length).keys()].map(cells)];
}

registerAll();
Promise.all(JSON.parse(require("fs").readFileSync(0, "utf8")).map(show))
  .then((shown) => console.log(JSON.stringify(shown)));

// Makes calls with Klime's browser SDK on Node, and prints what the SDK has told its caller as JSON.
//
// usage: KLIME_ENDPOINT=… KLIME_WRITE_KEY=… node browser-sdk.mjs SCENARIO

import { KlimeClient } from "@klime/browser";
import { scenariosWith } from "./scenarios.mjs";

const run = scenariosWith(KlimeClient, { writeKey: process.env.KLIME_WRITE_KEY, endpoint: process.env.KLIME_ENDPOINT });
const report = await run(process.argv[2]);
process.stdout.write(JSON.stringify(report), () => process.exit()); // a client's flush timer may still run

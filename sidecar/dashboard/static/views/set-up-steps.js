// The steps from nothing to the first conversion: what the answers of the API show of each. Draws nothing.
import { ago, at, count, reasonWords, stateWords } from "../lib/format.js";

const APPLICATION = ["app_registration"];
const SECRET = ["client_secret_expired", "client_secret_invalid"];
const TOKEN = ["developer_token_invalid"];
const USABLE = ["ok", "goal_settling", "goal_not_enhanced"];

const done = (text) => ({ state: "done", text });
const attention = (text, fix) => ({ state: "attention", text, fix });
/** Not done yet; `waits` where the reader has nothing to do for it now. */
const open = (text, waits = false) => ({ state: "open", text, waits });

/**
 * `facts` has the answers of the API by name, null for one that is not there: connection, goals (its items), accounts, delivered
 * (the newest delivered conversion, or null), overview. Returns {id, title, state, text, fix?, isNext} for each step, in order.
 */
export function stepsOf(facts) {
  const steps = Object.entries(STEPS).map(([id, [title, check]]) => ({ id, title, ...check(facts) }));
  const next = steps.find((step) => step.state === "attention") ?? steps.find((step) => step.state === "open" && !step.waits);
  return steps.map((step) => ({ ...step, isNext: step === next }));
}

const STEPS = {
  application: ["Application", application],
  secret: ["Client secret", secret],
  "developer-token": ["Developer token", developerToken],
  "sign-in": ["Sign-in", signIn],
  account: ["Ad account", account],
  goals: ["Goals", goals],
  "auto-tagging": ["Auto-tagging", autoTagging],
  "first-conversion": ["First conversion", firstConversion],
};

const isEmulator = (facts) => facts.connection.environment === "emulator";

/** The trouble of the sign-in with one of these codes; that of the last attempt counts until there is a connection. */
function troubleOf({ connection }, codes) {
  const { connected, trouble, last_sign_in: last } = connection;
  return [trouble, connected ? null : last?.trouble].find((one) => one && codes.includes(one.code));
}

function application(facts) {
  const { connected, application: registered } = facts.connection;
  const trouble = troubleOf(facts, APPLICATION);
  if (isEmulator(facts)) return done("The stand-in needs none.");
  if (trouble) return attention(trouble.message, trouble.fix);
  if (connected) return done(`Microsoft knows the application ${registered.client_id}.`);
  return open(`The application ${registered.client_id} is configured; the sign-in shows whether Microsoft knows it.`, true);
}

function secret(facts) {
  const { connected, application: registered } = facts.connection;
  const trouble = troubleOf(facts, SECRET);
  if (isEmulator(facts)) return done("The stand-in needs none.");
  if (trouble) return attention(trouble.message, trouble.fix);
  if (connected) return done(registered.has_secret ? "Microsoft accepts it." : "None is configured; a public application needs none.");
  return open(registered.has_secret ? "It is configured; the sign-in shows whether it is right." : "None is configured, as a public application has it.", true);
}

function developerToken(facts) {
  const failed = facts.goals?.find((item) => item.trouble && TOKEN.includes(item.trouble.code))?.trouble;
  const raised = facts.overview?.troubles?.find((trouble) => TOKEN.includes(trouble.code));
  if (isEmulator(facts)) return done("The stand-in needs none.");
  if (failed) return attention(failed.message, failed.fix);
  if (raised) return attention(raised.title, raised.fix);
  if (facts.goals?.some(wasRead) || facts.accounts?.visible.length) return done("Microsoft accepts it.");
  return open("It is configured; the first call after the sign-in shows whether it is right.", true);
}

const wasRead = (item) => item.read_at && !item.trouble;

function signIn(facts) {
  const { connected, trouble, expires_at: expiry, last_sign_in: last } = facts.connection;
  const elsewhere = [...APPLICATION, ...SECRET];
  if (connected) return done(`Signed in${facts.accounts?.user ? ` as ${facts.accounts.user}` : ""}; the present token is valid until ${at(expiry)}, and is renewed by itself.`);
  if (last?.trouble && !elsewhere.includes(last.trouble.code)) return attention(last.trouble.message, last.trouble.fix);
  if (trouble && trouble.code !== "not_connected" && !elsewhere.includes(trouble.code)) return attention(trouble.message, trouble.fix);
  return open("There is no sign-in. Conversions are taken and wait.");
}

function account(facts) {
  const configured = facts.accounts?.configured;
  if (!configured) return facts.goals?.some(wasRead) ? done("Microsoft answers for it.") : open("Known after the sign-in.", true);
  const wrong = configured.find((one) => one.visible === false);
  if (wrong) return attention(REACH[wrong.reach]?.(wrong.name) ?? `The signed-in user cannot reach the account ${wrong.name}.`, wrong.fix);
  if (configured.every((one) => one.visible)) return done(`The signed-in user can reach ${names(configured)}.`);
  if (configured.some((one) => one.reach === "no_ids")) return open("No ids are configured yet.", !facts.connection.connected);
  return open(`${names(configured)}: known after the sign-in.`, true);
}

const hasWrongAccount = ({ accounts }) => accounts?.configured.some((one) => one.visible === false) ?? false;

const REACH = {
  swapped: (name) => `Customer id and account id of ${name} are in each other's place.`,
  unknown: (name) => `The ids of ${name} are none of the accounts that the signed-in user can reach.`,
  no_ids: (name) => `The account ${name} has no ids yet.`,
};

const names = (configured) => configured.map((one) => one.name).join(", ");

function goals(facts) {
  const items = facts.goals;
  const failed = items?.find((item) => item.trouble)?.trouble;
  if (!facts.connection.connected && failed) return open("Read after the sign-in.", true);
  if (hasWrongAccount(facts)) return open("Read once the ad account is right.", true);
  if (failed) return attention(failed.message, failed.fix);
  const events = (items ?? []).flatMap((item) => item.events);
  const unusable = events.filter((event) => event.state !== "unknown" && !USABLE.includes(event.state));
  const missing = new Set(unusable.filter((event) => event.state === "goal_not_found").map((event) => event.goal));
  if (missing.size) return attention(`${count(missing.size, "goal")} ${missing.size === 1 ? "is" : "are"} missing at Microsoft. Conversions for ${missing.size === 1 ? "it" : "them"} wait.`, null);
  if (unusable.length) return attention(unusable[0].message, unusable[0].fix);
  if (!events.length || events.some((event) => event.state === "unknown")) return open("Read after the sign-in.", true);
  const young = events.filter((event) => event.state === "goal_settling");
  return done(young.length ? `All are there; ${young[0].goal} takes conversions from ${at(young[0].settles_at)} on.` : "All are there and take conversions.");
}

function autoTagging(facts) {
  const items = facts.goals ?? [];
  if (hasWrongAccount(facts)) return open("Read once the ad account is right.", true);
  const off = items.find((item) => item.auto_tagging === false);
  if (off) return attention(`It is off in account ${off.account}: no click id reaches your site.`, null);
  if (items.length && items.every((item) => item.auto_tagging)) return done("Microsoft adds msclkid to landing addresses.");
  return open("Read after the sign-in.", true);
}

function firstConversion(facts) {
  const { delivered, received } = facts;
  if (delivered) return done(`${delivered.id} was delivered ${ago(delivered.settled_at)}.`);
  if (!received) return open("Nothing was received yet.");
  const waits = received.state === "pending" && received.reason ? `, and waits: ${reasonWords(received.reason)}` : `: ${stateWords(received)}`;
  return open(`${received.id} was received${waits}.`, true);
}

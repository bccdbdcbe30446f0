// Opens every page of the built book in Chromium and says what is wrong with it.
// Usage: BOOK_BROWSER=/usr/bin/chromium node check.mjs http://127.0.0.1:8000/ index.html notebooks/01.html …
// Prints one line per failure, then a summary as JSON; ends with 1 where something failed.
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { checkPlayer } from "./player.mjs";

const [base, ...pages] = process.argv.slice(2);
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
// The theme declares this constant twice on every page; nothing else is forgiven.
const KNOWN = "Identifier 'THEBE_JS_URL' has already been declared";
const CONTENT = ["article", "main", "body"];
const failures = [];
const counts = { pages: 0, players: 0, images: 0 };
const seenInDark = new Set();

/** Serious and critical findings of axe in the first element that one of the selectors finds. */
async function accessibility(page, selectors) {
  await page.addScriptTag({ path: AXE });
  return page.evaluate(async (candidates) => {
    const inside = candidates.map((selector) => document.querySelector(selector)).find(Boolean);
    if (!inside) return [];
    const { violations } = await window.axe.run(inside, { resultTypes: ["violations"] });
    return violations
      .filter(({ impact }) => ["serious", "critical"].includes(impact))
      .map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map((n) => n.html).slice(0, 3)
        .map((html) => html.slice(0, 160)).join(" | ")}`);
  }, selectors);
}

/** Pictures without a text, or with a file name or hash where a text should be. */
async function pictures(page) {
  const images = await page.locator("article img").evaluateAll((all) =>
    all.map((image) => ({ source: image.getAttribute("src").slice(-60), text: image.alt.trim() })));
  counts.images += images.length;
  return images
    .filter(({ text }) => !text || /[0-9a-f]{32}|\.(png|svg|jpe?g)$/i.test(text))
    .map(({ source, text }) => `picture ${source} has no text for those who cannot see it: "${text}"`);
}

/** Words of a drawing that leave it or lie on one another, in whatever fonts this machine has. */
async function words(page) {
  return page.evaluate(() => {
    const drawing = document.documentElement.getBoundingClientRect();
    const all = [...document.querySelectorAll("text")].map((text) => {
      const { left, right, top, bottom } = text.getBoundingClientRect();
      // A line's box is taller than its letters.
      const air = 0.2 * Math.min(right - left, bottom - top);
      return { said: text.textContent.trim(), left, right, top: top + air, bottom: bottom - air };
    });
    const out = all
      .filter(({ left, right, top, bottom }) => left < drawing.left || right > drawing.right
        || top < drawing.top || bottom > drawing.bottom)
      .map(({ said }) => `"${said}" leaves the drawing`);
    const meet = all.flatMap((a, i) => all.slice(i + 1)
      .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      .map((b) => `"${a.said}" lies on "${b.said}"`));
    return [...out, ...meet];
  });
}

async function checkPage(browser, path) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const report = (text) => failures.push(`${path}: ${text}`);
  page.on("pageerror", ({ message }) => message === KNOWN || report(`script error: ${message}`));
  page.on("console", (message) => {
    if (message.type() === "error") report(`console error: ${message.text().slice(0, 300)}`);
  });
  page.on("response", (answer) => {
    if (answer.status() >= 400) report(`status ${answer.status()} for ${answer.url()}`);
  });
  await page.route("**/*", (route) => {
    const url = route.request().url();
    if (url.startsWith(base) || /^(data|blob):/.test(url)) return route.continue();
    report(`asks another server for ${url}`);
    return route.abort();
  });
  try {
    // A busy machine may parse a large page for longer than its network rests: wait for both.
    await page.goto(base + path, { waitUntil: "load" });
    await page.waitForLoadState("networkidle");
    if (path.endsWith(".svg")) for (const finding of await words(page)) report(finding);
    else await examine(page, report);
  } catch (error) {
    report(`broke off: ${error.message}`);
  }
  await context.close();
  counts.pages += 1;
}

async function examine(page, report) {
  for (const finding of await accessibility(page, CONTENT)) report(finding);
  for (const finding of await pictures(page)) report(finding);

  const players = page.locator(".book-player");
  for (let index = 0; index < (await players.count()); index += 1) {
    for (const text of await checkPlayer(page, players.nth(index))) report(`player ${index + 1}: ${text}`);
    counts.players += 1;
  }
  // All players share one style sheet: one page for each set of buttons is enough.
  const buttons = await players.first().locator("[data-do]").evaluateAll((all) =>
    [...new Set(all.map((one) => one.dataset.do))].sort().join(" "));
  if ((await players.count()) && !seenInDark.has(buttons)) {
    seenInDark.add(buttons);
    await page.evaluate(() => (document.documentElement.dataset.theme = "dark"));
    for (const finding of await accessibility(page, [".book-player"])) report(`dark: ${finding}`);
  }
  await page.setViewportSize({ width: 390, height: 800 });
  const overhang = await page.evaluate(() =>
    document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (overhang > 1) report(`${overhang} pixels wider than a telephone's screen`);
}

const browser = await chromium.launch({
  executablePath: process.env.BOOK_BROWSER,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--mute-audio"],
});
try {
  const waiting = [...pages];
  const worker = async () => {
    while (waiting.length) await checkPage(browser, waiting.shift());
  };
  await Promise.all([worker(), worker()]);
} finally {
  await browser.close();
}
failures.sort().forEach((failure) => console.log(failure));
console.log(JSON.stringify({ ...counts, failures: failures.length }));
process.exitCode = failures.length ? 1 : 0;

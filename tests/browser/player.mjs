// Works one player with mouse and keyboard and judges it by the samples that it renders.
// The truth is each clip as the browser decodes it; what is heard must be sums of those.

/** Runs in the page: puts `window.heard`, the tools that compare samples, beside the players. */
function installTools() {
  const rms = (x) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
  const distance = (a, b) => {
    const length = Math.min(a.length, b.length);
    let worst = Math.abs(a.length - b.length) > 2 ? Infinity : 0;
    for (let i = 0; i < length; i += 1) worst = Math.max(worst, Math.abs(a[i] - b[i]));
    return worst;
  };
  /** Sum of the first channels of clips, from a position in seconds on. */
  const expected = (player, chosen, from = 0) => {
    const { sampleRate } = player.clips[0].buffer;
    const first = Math.round(from * sampleRate);
    const total = new Float32Array(Math.round(player.seconds * sampleRate) - first);
    for (const { part, version } of chosen) {
      const clip = player.clips.find((c) => c.part === part && c.version === version);
      const samples = clip.buffer.getChannelData(0);
      const lead = Math.round(clip.lead * sampleRate);
      for (let i = 0; i < total.length; i += 1) total[i] += samples[lead + first + i] ?? 0;
    }
    return total;
  };
  const clips = (player) => player.clips.map(({ part, version, link }) => ({
    part, version, size: link.getAttribute("href").length,
    name: link.getAttribute("download"), channels: 0,
  }));
  const compare = async (id, chosen, from) => {
    const player = window.bookPlayers[id];
    const [samples] = await player.render();
    const truth = expected(player, chosen, from);
    return { error: distance(samples, truth), level: rms(samples), truth: rms(truth) };
  };
  /** What leaves the player now: its level, and how far it is from a clip at the clock's time. */
  const live = async (id, { part, version }) => {
    const player = window.bookPlayers[id];
    const { context, output } = player.graph;
    const analyser = new AnalyserNode(context, { fftSize: 2048 });
    output.connect(analyser);
    await new Promise((done) => setTimeout(done, 250));
    const samples = new Float32Array(2048);
    const at = player.now();
    analyser.getFloatTimeDomainData(samples);
    output.disconnect(analyser);
    const clip = player.clips.find((c) => c.part === part && c.version === version);
    const left = clip.buffer.getChannelData(0);
    const right = clip.buffer.getChannelData(clip.buffer.numberOfChannels - 1);
    const centre = Math.round((at + clip.lead) * context.sampleRate);
    let error = Infinity;
    for (let shift = -8192; shift <= 4096; shift += 1) {
      let worst = 0;
      for (let i = 0; i < 2048 && worst < error; i += 1) {
        const k = centre + shift + i;
        worst = Math.max(worst, Math.abs(samples[i] - ((left[k] ?? 0) + (right[k] ?? 0)) / 2));
      }
      error = Math.min(error, worst);
    }
    return { at, level: rms(samples), error };
  };
  window.heard = { clips, compare, live };
}

const CLOSE = 1e-4; // of full scale: rounding in the sum, and nothing else
const LARGEST = 110_000 / 10; // bytes of a clip's address per second

/** Clicks amid an element with the mouse: whatever covers it gets the click. */
async function click(page, target, key) {
  const { x, y } = await target.evaluate((element) => {
    const box = () => element.getBoundingClientRect();
    // The page's header lies on its first hundred pixels.
    if (box().top < 100 || box().bottom > window.innerHeight) {
      element.scrollIntoView({ block: "center", behavior: "instant" });
    }
    const { left, top, width, height } = box();
    return { x: left + width / 2, y: top + height / 2 };
  });
  if (key) await page.keyboard.down(key);
  await page.mouse.click(x, y);
  if (key) await page.keyboard.up(key);
}

export async function checkPlayer(page, root) {
  const failures = [];
  const id = await root.getAttribute("id");
  await page.waitForFunction((name) => window.bookPlayers?.[name], id, { timeout: 10_000 });
  await page.evaluate(installTools);
  await page.evaluate((name) => window.bookPlayers[name].load(), id);
  const clips = await page.evaluate((name) => window.heard.clips(window.bookPlayers[name]), id);
  const seconds = await page.evaluate((name) => window.bookPlayers[name].seconds, id);
  const expect = (good, text) => good || failures.push(text);
  const compare = (chosen, from) =>
    page.evaluate(([name, which, at]) => window.heard.compare(name, which, at), [id, chosen, from]);
  const button = (what, value) => root.locator(`[data-do=${what}][data-value="${value}"]`);
  const press = (what, value, key) => click(page, button(what, value), key);
  const sounds = async (chosen, text, from = 0) => {
    const { error, level } = await compare(chosen, from);
    expect(error < CLOSE, `${text}: off by ${error.toExponential(1)} (level ${level.toFixed(4)})`);
  };

  for (const { name, size } of clips) {
    const room = LARGEST * Math.max(seconds, 1) + 2000; // headers weigh on very short clips
    expect(size <= room, `${name} takes ${size} bytes for ${seconds} s`);
  }
  const last = Math.max(...clips.map((clip) => clip.version));
  const rows = clips.filter((clip) => clip.version === last);
  const solo = (await button("solo", rows[0].part).count()) > 0;

  // Mixture first, or the first row where rows are all there is.
  await sounds(clips.slice(0, 1), "at the start");
  if (last > 0) await press("listen", last);
  else if (solo) await press("solo", rows[0].part); // release it
  await sounds(rows, "nothing soloed");
  if (solo) {
    for (const row of rows) {
      await press("solo", row.part);
      await sounds([row], `solo of row ${row.part}`);
    }
    await press("solo", rows.at(-1).part);
    // One row is enough: all mutes go the same way, and the first row is muted again while it plays.
    const row = rows.at(-1);
    await press("mute", row.part);
    await sounds(rows.slice(0, -1), `mute of row ${row.part}`);
    await press("mute", row.part);
    await press("solo", rows[0].part);
    if (rows.length > 1) {
      await press("solo", rows[1].part, "Shift");
      await sounds(rows.slice(0, 2), "two rows soloed");
      await press("solo", rows[0].part);
    }
  }
  const one = solo ? rows[0] : clips[0];
  for (let version = 0; version <= last && last > 0; version += 1) {
    await press("listen", version);
    const there = clips.filter((clip) => clip.version === version);
    const same = there.filter((clip) => clip.part === one.part);
    await sounds(same.length ? same : there, `version ${version}, solo kept`);
  }
  if (last > 0) await press("listen", one.version);
  await checkTime(page, root, id, { one, seconds, expect, sounds });
  await checkLive(page, root, id, { one, seconds, expect, button, press, last });
  return failures;
}

/** Seeking: by keys in whole seconds, by the slider and by the waveform. */
async function checkTime(page, root, id, { one, seconds, expect, sounds }) {
  const now = () => page.evaluate((name) => window.bookPlayers[name].now(), id);
  await root.focus();
  await page.keyboard.press("Home");
  if (seconds > 2) {
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await sounds([one], "two seconds on", 2);
    await page.keyboard.press("ArrowLeft");
    await sounds([one], "one second back", 1);
  }
  const targets = { slider: root.getByLabel("Position", { exact: true }), waveform: root.locator(".bp-wave").last() };
  for (const [name, target] of Object.entries(targets)) {
    await page.keyboard.press("Home");
    await click(page, target);
    const share = (await now()) / seconds;
    expect(Math.abs(share - 0.5) < 0.03, `a click amid the ${name} leads to ${share} of the whole`);
    await root.focus();
  }
  await page.keyboard.press("Home");
}

/** Playing: the live output is the clip at the clock's time, and switching does not stop it. */
async function checkLive(page, root, id, { one, seconds, expect, button, press, last }) {
  if (seconds < 3) return;
  const live = () => page.evaluate(([name, clip]) => window.heard.live(name, clip), [id, one]);
  const playing = (wanted) => page.waitForFunction(
    ([name, state]) => Boolean(window.bookPlayers[name].graph) === state, [id, wanted], { timeout: 5000 });
  await click(page, root.getByRole("button", { name: "Play", exact: true }));
  await playing(true);
  const first = await live();
  expect(first.error < 1e-3, `live output differs from the soloed clip by ${first.error}`);
  // From the start again: on a slow machine a short clip would come to its end before the last look.
  await root.focus();
  await page.keyboard.press("Home");
  await playing(true);
  const begun = await page.evaluate((name) => {
    window.firstGraph = window.bookPlayers[name].graph;
    return window.bookPlayers[name].now();
  }, id);
  if (last > 0) {
    await press("listen", 0);
    await press("listen", one.version);
  }
  const mute = (await button("mute", one.part).count()) > 0;
  if (mute) {
    await press("mute", one.part);
    const muted = await live();
    expect(muted.level < 1e-5, `muted, and still heard live at level ${muted.level}`);
    await press("mute", one.part);
  }
  const second = await live();
  expect(second.error < 1e-3, `after switching, live output is off by ${second.error}`);
  expect(second.at > begun, `time went from ${begun} to ${second.at}`);
  const same = await page.evaluate((name) => window.bookPlayers[name].graph === window.firstGraph, id);
  expect(same, "switching started the sound anew");
  await root.focus();
  await page.keyboard.press("Space");
  await playing(false);
  await page.keyboard.press("Home");
}

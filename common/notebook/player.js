// The stem player: one clock, one gain per clip, so that a switch keeps the position in the music.
// Each cell's output contains this file, because Colab shows every output in its own frame.
(() => {
  if (window.openBookPlayer) return;
  const players = (window.bookPlayers = {}); // id → BookPlayer
  const FADE = 0.012; // seconds: a gain that jumps would click
  const STEP = 1; // seconds per arrow key
  const MP3_DELAY = 1105; // samples before the first one, in browsers that do not trim them
  let speaker = null; // one AudioContext per page, made on the first use

  class BookPlayer {
    constructor(root) {
      this.root = root;
      this.seconds = Number(root.dataset.seconds);
      this.rate = Number(root.dataset.rate);
      this.waves = root.querySelectorAll(".bp-wave");
      this.clips = [...root.querySelectorAll("a[data-version]")].map((link) => ({
        link, part: Number(link.dataset.part), version: Number(link.dataset.version),
      }));
      this.shown = new Map(); // part → the version its row shows, kept while its row is silent
      for (const { part, version } of this.clips.toReversed()) this.shown.set(part, version);
      this.version = 0;
      this.solo = new Set(root.dataset.solo ? [Number(root.dataset.solo)] : []);
      this.mute = new Set();
      this.position = 0;
      this.playing = this.loop = false;
      this.graph = null;
      root.addEventListener("click", (event) => this.onClick(event));
      root.addEventListener("keydown", (event) => this.onKey(event));
      this.slider = root.querySelector("input");
      this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
      this.show();
    }

    load() {
      speaker ??= new AudioContext();
      const decoder = new OfflineAudioContext(2, 1, speaker.sampleRate);
      this.loading ??= Promise.all(this.clips.map(async (clip) => {
        const text = atob(clip.link.getAttribute("href").split(",")[1]);
        const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
        clip.buffer = await decoder.decodeAudioData(bytes.buffer);
        const untrimmed = clip.buffer.duration > this.seconds + 0.03;
        clip.lead = untrimmed ? MP3_DELAY / this.rate : 0;
      }));
      return this.loading;
    }

    /** Which clips are heard: those of the chosen version, soloed ones if any, not muted. */
    sounding() {
      const present = this.clips.filter((clip) => clip.version === this.version);
      const soloed = present.filter((clip) => this.solo.has(clip.part));
      const chosen = soloed.length ? soloed : present;
      return new Set(chosen.filter((clip) => !this.mute.has(clip.part)));
    }

    /** Every clip starts at the same instant of the same clock; only gains differ. */
    wire(context, when, offset) {
      const output = new GainNode(context);
      output.connect(context.destination);
      const sounding = this.sounding();
      const channels = this.clips.map((clip) => {
        const { buffer, lead } = clip;
        const loop = { loop: this.loop, loopStart: lead, loopEnd: lead + this.seconds };
        const source = new AudioBufferSourceNode(context, { buffer, ...loop });
        const gain = new GainNode(context, { gain: Number(sounding.has(clip)) });
        source.connect(gain).connect(output);
        source.start(when, lead + offset);
        return { source, gain };
      });
      return { context, output, channels };
    }

    /** What would be heard from the current position to the end, as samples: for tests. */
    async render() {
      await this.load();
      const frames = Math.round((this.seconds - this.now()) * speaker.sampleRate);
      const context = new OfflineAudioContext(2, Math.max(frames, 1), speaker.sampleRate);
      this.wire(context, 0, this.now());
      const buffer = await context.startRendering();
      return [buffer.getChannelData(0), buffer.getChannelData(1)];
    }

    now() {
      if (!this.graph) return this.position;
      const elapsed = Math.max(speaker.currentTime - this.began, this.loop ? 0 : this.position);
      return this.loop ? elapsed % this.seconds : Math.min(elapsed, this.seconds);
    }

    async play() {
      this.playing = true;
      for (const other of Object.values(players)) if (other !== this) other.pause();
      this.show();
      try {
        await this.load();
        await speaker.resume();
      } catch (error) {
        this.pause();
        this.root.querySelector("[role=status]").textContent = `Cannot play: ${error.message}`;
        return;
      }
      if (!this.playing || this.graph) return;
      const when = speaker.currentTime + 0.05;
      this.began = when - this.position;
      this.graph = this.wire(speaker, when, this.position);
      this.tick();
    }

    pause() {
      this.position = this.now();
      this.playing = false;
      this.graph?.channels.forEach(({ source }) => source.stop());
      this.graph?.output.disconnect();
      this.graph = null;
      this.show();
    }

    seek(seconds) {
      const resume = this.playing;
      if (resume) this.pause();
      this.position = Math.min(Math.max(seconds, 0), this.seconds);
      if (resume) this.play();
      else this.show();
    }

    tick() {
      if (!this.graph) return;
      const over = !this.loop && this.now() >= this.seconds;
      if (over || !this.root.isConnected) {
        this.pause();
        this.seek(0);
        return;
      }
      this.showTime();
      requestAnimationFrame(() => this.tick());
    }

    listen(version) {
      this.version = version;
      for (const clip of this.clips) {
        if (clip.version === version) this.shown.set(clip.part, version);
      }
    }

    toggleSolo(part, add) {
      const elsewhere = !this.clips.some((c) => c.part === part && c.version === this.version);
      if (elsewhere) this.listen(this.shown.get(part));
      const release = this.solo.has(part) && !elsewhere && (add || this.solo.size === 1);
      if (!add) this.solo.clear();
      if (release) this.solo.delete(part);
      else this.solo.add(part);
    }

    toggleMute(part) {
      if (!this.mute.delete(part)) this.mute.add(part);
    }

    /** Do what a button does, by its data-do name. */
    act(name, value, add) {
      if (name === "play") this.playing ? this.pause() : this.play();
      else if (name === "loop") {
        const position = this.now();
        this.loop = !this.loop;
        this.seek(position);
      } else if (name === "listen") this.listen(value);
      else if (name === "solo") this.toggleSolo(value, add);
      else if (name === "mute") this.toggleMute(value);
      this.show();
    }

    onClick(event) {
      const button = event.target.closest("[data-do]");
      const wave = event.target.closest(".bp-wave");
      if (button) {
        this.act(button.dataset.do, Number(button.dataset.value), event.shiftKey);
        if (event.detail) this.root.focus({ preventScroll: true }); // so that Space then plays
      } else if (wave) {
        const box = wave.getBoundingClientRect();
        this.seek(((event.clientX - box.left) / box.width) * this.seconds);
      }
    }

    onKey(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const onControl = event.target.closest("button, a");
      const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
      const letter = event.key.length === 1 ? event.key.toLowerCase() : "";
      const press = (selector) => this.root.querySelector(selector)?.click();
      if (event.key === " " && !onControl) this.act("play");
      else if (event.key === "ArrowLeft") this.seek(this.now() - STEP);
      else if (event.key === "ArrowRight") this.seek(this.now() + STEP);
      else if (event.key === "Home") this.seek(0);
      else if (digit) press(`[data-do=${event.shiftKey ? "mute" : "solo"}][data-key="${digit[1]}"]`);
      else if (letter === "l") this.act("loop");
      else if (/[a-f]/.test(letter)) press(`[data-do=listen][data-key=${letter}]`);
      else return;
      event.preventDefault();
      event.stopPropagation(); // the classic notebook would read letters as commands
    }

    show() {
      const sounding = this.sounding();
      this.clips.forEach((clip, index) => {
        const on = sounding.has(clip);
        const gain = this.graph?.channels[index].gain.gain;
        gain?.setTargetAtTime(Number(on), speaker.currentTime, FADE);
        const visible = this.shown.get(clip.part) === clip.version;
        const row = clip.link.closest(".bp-row");
        for (const part of row.querySelectorAll(`[data-version="${clip.version}"]`)) {
          part.toggleAttribute("hidden", !visible);
        }
        if (visible) row.classList.toggle("bp-silent", !on);
      });
      const pressed = {
        listen: (value) => value === this.version, loop: () => this.loop,
        solo: (value) => this.solo.has(value), mute: (value) => this.mute.has(value),
      };
      for (const button of this.root.querySelectorAll("button[data-do]")) {
        const state = pressed[button.dataset.do]?.(Number(button.dataset.value));
        if (state !== undefined) button.setAttribute("aria-pressed", state);
      }
      const play = this.root.querySelector("[data-do=play]");
      play.setAttribute("aria-label", this.playing ? "Pause" : "Play");
      this.root.classList.toggle("bp-playing", this.playing);
      this.showTime();
    }

    showTime() {
      const now = this.now();
      // Not on the root: every element of the player would be styled again in every frame.
      for (const wave of this.waves) wave.style.setProperty("--bp-at", now / this.seconds);
      this.slider.value = now;
      const text = `${now.toFixed(1)} of ${this.seconds.toFixed(1)} s`;
      this.slider.setAttribute("aria-valuetext", text);
      this.root.querySelector(".bp-time").textContent = text;
    }
  }

  /** Start a player; a notebook may run the script before its output is in the page. */
  window.openBookPlayer = (id, attempts = 100) => {
    const root = document.getElementById(id);
    if (root) players[id] = new BookPlayer(root);
    else if (attempts) setTimeout(() => window.openBookPlayer(id, attempts - 1), 50);
  };
})();

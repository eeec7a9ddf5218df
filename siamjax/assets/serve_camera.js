// The browser's webcam: each frame is sent as a JPEG and shown with the boxes that come back for it.

const SIDE = 640; // px, longest side of what is sent

export class Camera {
  // ask(path, options): JSON of an answer. shown(picture, size, targets, figures). failed(error).
  constructor(ask, shown, failed) {
    Object.assign(this, { ask, shown, failed });
    this.given = []; // what is said about the next frame: {target, box}
    this.last = null; // the frame that is shown: {blob, image, size}
    this.held = null; // that frame, while a person draws on it
    this.next = null; // a frame to send once more, with the box
    this.id = null;
  }

  async open() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers give the webcam to pages of this machine (http://127.0.0.1:...) or https only; ssh -L makes one of the other.");
    }
    try {
      const video = { width: { ideal: SIDE }, height: { ideal: 480 }, facingMode: { ideal: "environment" } };
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      const why = { NotAllowedError: "the browser was told not to give it", NotFoundError: "there is none", NotReadableError: "another program uses it" };
      throw new Error(`No webcam: ${why[error.name] ?? error.message}.`);
    }
    this.video = document.createElement("video");
    Object.assign(this.video, { srcObject: this.stream, muted: true, playsInline: true });
    await this.video.play();
    try {
      await this.begin();
    } catch (error) {
      this.close();
      throw error;
    }
    this.loop();
  }

  async begin() {
    this.id = (await this.ask("/cameras", { method: "POST" })).id;
  }

  freeze() {
    this.held = this.last;
  }

  thaw() {
    this.held = null;
  }

  // A box in the frame that is shown, whichever is under way.
  give(target, box) {
    this.given.push({ target, box });
    this.next = this.held ?? this.last;
    this.held = null;
  }

  close() {
    if (this.id) navigator.sendBeacon(`/cameras/${this.id}/end`);
    this.id = null;
    this.stream?.getTracks().forEach((track) => track.stop());
  }

  async loop() {
    let rate = 0;
    let before = performance.now();
    while (this.id) {
      if (this.held && performance.now() - before < 4000) {
        await new Promise((go) => setTimeout(go, 30));
        continue; // a frame now and then keeps the camera alive
      }
      try {
        const frame = this.next ?? this.held ?? (await this.fresh());
        const drawn = frame === this.next;
        this.next = null;
        const begin = performance.now();
        const given = drawn || !this.given.some((each) => each.box) ? this.given.splice(0) : [];
        const said = given.length ? `?given=${encodeURIComponent(JSON.stringify(given))}` : "";
        const told = await this.ask(`/cameras/${this.id}${said}`, { method: "POST", body: frame.blob });
        const now = performance.now();
        rate = rate ? 0.9 * rate + 0.1 * (now - before) : now - before;
        before = now;
        if (!this.id) return;
        if (this.held || this.next) continue; // the frame before stays, with what is drawn on it
        this.last = frame;
        this.shown(frame.image, frame.size, told.targets, { fps: 1000 / rate, round: now - begin, server: told.ms });
      } catch (error) {
        if (!this.id) return;
        if (error.status === 404) await this.begin().catch((fault) => this.end(fault));
        else if (error.status === 400) this.failed(error);
        else this.end(error);
      }
    }
  }

  end(error) {
    this.close();
    this.failed(error, true);
  }

  // The next frame of the camera, at most a moment later.
  async fresh() {
    await new Promise((go) => {
      setTimeout(go, 200);
      this.video.requestVideoFrameCallback?.(go);
    });
    const [width, height] = [this.video.videoWidth, this.video.videoHeight];
    const zoom = Math.min(1, SIDE / Math.max(width, height));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.round(width * zoom), Math.round(height * zoom)];
    canvas.getContext("2d").drawImage(this.video, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
    return { blob, image: canvas, size: [canvas.width, canvas.height] };
  }
}

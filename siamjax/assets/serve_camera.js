// The browser's webcam: each frame is sent as a JPEG and shown with the boxes that come back for it.

const SIDE = 640; // px, longest side of what is sent

export class Camera {
  // ask(path, options): JSON of an answer. shown(picture, size, targets, figures). failed(error).
  constructor(ask, shown, failed) {
    Object.assign(this, { ask, shown, failed });
    this.given = []; // what is said about the next frame: {target, box}
    this.frozen = false; // while a person draws on the frame that is shown
    this.again = false; // send that frame once more, with the box
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

  give(target, box) {
    this.given.push({ target, box });
    this.again = true;
    this.frozen = false;
  }

  close() {
    if (this.id) navigator.sendBeacon(`/cameras/${this.id}/end`);
    this.id = null;
    this.stream?.getTracks().forEach((track) => track.stop());
  }

  async loop() {
    const canvas = document.createElement("canvas");
    let blob = null;
    let rate = 0;
    let before = performance.now();
    while (this.id) {
      if (this.frozen && performance.now() - before < 4000) {
        await new Promise((go) => setTimeout(go, 30));
        continue; // a frame now and then keeps the camera alive
      }
      try {
        const begin = performance.now();
        if (!((this.frozen || this.again) && blob)) {
          await this.fresh();
          const zoom = Math.min(1, SIDE / Math.max(this.video.videoWidth, this.video.videoHeight));
          canvas.width = Math.round(this.video.videoWidth * zoom);
          canvas.height = Math.round(this.video.videoHeight * zoom);
          canvas.getContext("2d").drawImage(this.video, 0, 0, canvas.width, canvas.height);
          blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
        }
        const taken = performance.now();
        this.again = false;
        const given = this.given.splice(0);
        const said = given.length ? `?given=${encodeURIComponent(JSON.stringify(given))}` : "";
        const told = await this.ask(`/cameras/${this.id}${said}`, { method: "POST", body: blob });
        const now = performance.now();
        rate = rate ? 0.9 * rate + 0.1 * (now - before) : now - before;
        before = now;
        if (!this.id) return;
        if (this.frozen) continue;
        const figures = { fps: 1000 / rate, round: now - taken, server: told.ms, all: now - begin };
        this.shown(await createImageBitmap(canvas), [canvas.width, canvas.height], told.targets, figures);
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
  fresh() {
    return new Promise((go) => {
      const late = setTimeout(go, 200);
      this.video.requestVideoFrameCallback?.(() => {
        clearTimeout(late);
        go();
      }) ?? 0;
    });
  }
}

// While a text is written: what each layer says of the newest token, as often as there is time.

import { Question } from "./question.js";

const REST = 3; // times as long as an answer took
const LEAST = 120; // ms between two questions

export class LiveLayers {
  /** @param {(answer: object) => void} onAnswer */
  constructor(runs, onAnswer) {
    this.runs = runs;
    this.onAnswer = onAnswer;
    this.question = new Question(runs);
    this.wanted = false;
    this.going = false;
  }

  follow(wanted) {
    this.wanted = wanted;
    if (wanted && !this.going) this.go();
  }

  async go() {
    this.going = true;
    while (this.wanted && this.runs.running) {
      const began = performance.now();
      const answer = await this.question.ask({ want: "layers", newest: true });
      const there = answer && !answer.error && answer.at !== null;
      if (there && this.wanted && this.runs.running) this.onAnswer(answer);
      const took = performance.now() - began;
      await new Promise((go) => setTimeout(go, Math.max(LEAST, REST * took)));
    }
    this.going = false;
  }
}

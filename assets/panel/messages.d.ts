// Made from gpt2/ui/session/messages.py by python -m gpt2.ui.page.schema; change it there.

type Token = string | BareToken;
type MapMode = "head" | "value" | "mean" | "max" | "all_mean" | "all_max" | "rollout";
type RoleName = "previous" | "self" | "first" | "duplicate" | "induction";
type ScoreName = "previous" | "self" | "first" | "duplicate" | "induction" | "previous_of_rest" | "effective" | "distance";

/** A token that is no text by itself: a marker (special), or two digits a byte (hex). */
interface BareToken {
  special?: string;
  hex?: string;
}

/** Which map; plain says that its rows are weights as such and need not sum to 1. */
interface MapMessage {
  mode: MapMode;
  layer: number;
  head: number;
  plain: boolean;
}

/** What every head does, on the text or on random tokens; null, or no name, without evidence. */
interface RolesMessage {
  run: string;
  n: number;
  probe: boolean;
  repeats: number;
  scores: Record<ScoreName, (number | null)[]>;
  role: (RoleName | "")[];
}

/** What made a choice out of probabilities, apart from the seed. */
interface Sampling {
  temperature: number;
  top_k: number | null;
  top_p: number;
}

/** A token that could have come: shares before and after sampling, cut why it could not. */
interface Candidate {
  token: Token;
  id: number;
  shares: number[];
  rank: number;
  cut: string | null;
  chosen: boolean;
}

/** How one token was chosen; surprise and entropy in bits, rest the shares of all others. */
interface ChoiceMessage {
  likeliest: Candidate[];
  rest: number[];
  bits: number;
  entropy: number;
  kept: number;
}

/** Choices from token start on; null where nothing stood before the token. */
interface ChoicesMessage {
  run: string;
  want: "choices";
  start: number;
  before: boolean;
  choices: (ChoiceMessage | null)[];
  sampling: Sampling;
  vocabulary: number;
  starts: boolean;
}

/** Surprise in bits and rank of every token; null where nothing stood before it. */
interface ShadeMessage {
  run: string;
  want: "shade";
  bits: (number | null)[];
  ranks: (number | null)[];
}

/** What each layer would have put at token at; nothing but that for the first token. */
interface LayersMessage {
  run: string;
  want: "layers";
  at: number;
  stages: string[];
  guesses?: Token[];
  shares?: number[];
  ranks?: number[];
  settled?: number;
  early?: string;
}

/** How likely token at is with the heads that are on, and with those asked about off. */
interface OffMessage {
  run: string;
  want: "off";
  at: number;
  shares: number[];
  likeliest: Token[];
}

/** A row of Compare's table; bytes, seconds, tokens a second; null until it is measured. */
interface SizeFacts {
  size: string;
  title: string;
  parameters: number;
  layers: number;
  heads: number;
  width: number;
  file: number | null;
  memory: number;
  precision: string;
  seed: string;
  speed: number | null;
  speed_error: number | null;
  first: number | null;
  bits_per_byte: number | null;
}

/** What a column of Compare is headed with; memory in bytes. */
interface ColumnMessage {
  size: string;
  title: string;
  memory: number;
}

/** How surprised one size is by a text; one that cannot say has error alone. */
interface ScoredSize {
  size: string;
  title: string;
  error?: string;
  parameters?: number;
  bits?: number;
  tokens?: number;
  bytes?: number;
  bits_per_byte?: number;
}

/** What one size expects next: [token, before, after sampling] each; or error alone. */
interface NextOfSize {
  size: string;
  title: string;
  error?: string;
  likeliest?: [Token, number, number][];
  kept?: number;
  entropy?: number;
  vocabulary?: number;
}

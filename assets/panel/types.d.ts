// What the panel's modules have in common, for tsc (.ci/tsconfig.json); the page asks for nothing of it.
// What travels between server and page is in messages.d.ts, which is made from the Python side.

type Runs = import("./store/runs.js").Runs;
type RunText = import("./store/text.js").Text;
type MapPlan = ReturnType<typeof import("./map/geometry.js").planOf>;
/** The colours and fonts a canvas needs (theme.js). */
interface PageTheme {
  colors: PageColors;
  pixels: Uint32Array;
  mono: string;
  sans: string;
}
interface PageColors {
  card: string;
  ink: string;
  quiet: string;
  accent: string;
  warm: string;
  masked: string;
  maskedLine: string;
  maskedPixel: number;
}
type ThemeName = "light" | "dark";
type ScaleName = string;

/** The parts a template names with data-part. */
interface Parts {
  [name: string]: HTMLElement;
  apart: HTMLInputElement;
  atlas: HTMLCanvasElement;
  head: HTMLSelectElement;
  layer: HTMLSelectElement;
  map: HTMLCanvasElement;
  marks: HTMLInputElement;
  minimap: HTMLCanvasElement;
  mode: HTMLSelectElement;
  over: HTMLCanvasElement;
  pace: HTMLSelectElement;
  pasted: HTMLTextAreaElement;
  ramp: HTMLCanvasElement;
  scales: HTMLSelectElement;
  shadeby: HTMLSelectElement;
  startbefore: HTMLInputElement;
  which: HTMLSelectElement;
}

/** A place on the map: token query reads token key. */
interface Cell {
  query: number;
  key: number;
}
interface Selected {
  query: number;
  key: number | null;
}
/** A head, counted from 0. */
interface Head {
  layer: number;
  head: number;
}
/** The part of the text a map shows, in tokens. */
interface Span {
  x: number;
  y: number;
  size: number;
}
interface Point {
  x: number;
  y: number;
}

type Weights = Float32Array;
/** A row of the map by its token; null where it is not here. */
type RowOf = (i: number) => Weights | null;
/** Words that tell how far something is. */
type Say = (words: string) => void;

/** Gradio's ways to a component (see gpt2/ui/page/assets.py, mount_script). */
type Props = { value: any };
type Watch = (name: string, changed: () => void) => void;
type Trigger = (event: string, data?: unknown) => void;
type Server = Record<string, (request: any) => Promise<any>>;

type TextFlow = import("./text/text_flow.js").TextFlow;
type MapPanel = import("./map/map_panel.js").MapPanel;
/** What a map is drawn from. */
type MapView = ReturnType<typeof import("./map/map_panel.js").viewOf>;
/** Which map is looked at. */
interface Look extends Head {
  mode: MapMode;
}
/** One of the strongest entries of a row. */
interface Entry {
  index: number;
  weight: number;
}
/** Ramp indices of a row, and that of its first token. */
interface LevelsOfRow {
  levels: Uint8Array;
  first: number;
}
/** A piece of text made of whole tokens. */
interface Piece {
  from: number;
  to: number;
  kind: string;
  text: string;
}
type AtlasPlan = ReturnType<typeof import("./heads/atlas_picture.js").atlasPlan>;
type PlotPoint = { x: number; y: number; low?: number; high?: number; name: string; label: string };
type Box = { from: number; to: number; top: number; bottom: number };

interface AtlasView extends PageTheme {
  plan: AtlasPlan;
  atlas: import("./store/atlas_store.js").AtlasStore;
  split: boolean;
  scale: ScaleName;
  ratio: number;
  look: Look;
  off: number[][];
  used: boolean;
  pointed: Head | null;
  dim: RoleName | null;
  roles: RolesMessage | null;
}
interface Lesson {
  title: string;
  prompt: string;
  frames: string[];
  hints: string[];
  [more: string]: any;
}
/** A finger on the map, and where it began. */
interface Finger extends Point {
  from: Point;
}
/** What a finger or the pointer does on the map. */
type Hand = { canvas: HTMLCanvasElement; panel: MapPanel; fingers: Map<number, Finger>; [more: string]: any };

/** What is told of a run: in the log's own types once its messages are among messages.d.ts. */
type RunStatus = any;
type RunMessage = any;
type RunStats = any;

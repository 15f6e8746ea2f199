import { instantiate, type Loops } from '#pixel-loops';

const MIB = 2 ** 20;
/** For the tables of one call, and a tensor outside this memory. */
const CALL_BYTES = 4 * MIB;
/** For tensors: those of the default models take 81 MiB for a batch of 64, 2.5 MiB for one of 2. */
const TENSOR_BYTES = 128 * MIB;
/** For the pictures of a batch. */
export const PICTURE_BYTES = 32 * MIB;

/**
 * The loops and their memory, which has data of the present call, then tensors, then pictures. The system
 * gives a process the parts that it has used, 4 KiB at a time.
 *
 * It never grows, because that would detach its buffer. From then on V8 makes sure before each access
 * to an array that its buffer is not detached, and loops in JavaScript take half as long again.
 */
interface LoopMemory {
  loops: Loops;
  bytes: Uint8Array;
  shorts: Uint16Array;
  ints: Int32Array;
  floats: Float32Array;
  nextTensor: number;
  /** Where the pictures begin, and where the next one goes. */
  pictures: number;
  nextPicture: number;
  /** Addresses of the pictures that are in it. */
  places: WeakMap<Uint8Array, number>;
}

/** Of this thread. */
let shared: LoopMemory | undefined;

/** Allocates a zeroed tensor, in this memory while it has room. The space is never reused. */
export function allocateTensor(length: number): Float32Array {
  const memory = openShared();
  const at = memory.nextTensor;
  const next = at + align(4 * length);
  if (next > memory.pictures) return new Float32Array(length);
  memory.nextTensor = next;
  return new Float32Array(memory.bytes.buffer, at, length);
}

/** Discards all pictures in the memory. */
export function forgetPictures(): void {
  if (shared) resetPictures(shared);
}

function resetPictures(memory: LoopMemory): void {
  memory.places = new WeakMap();
  memory.nextPicture = memory.pictures;
}

export type Table = Uint16Array | Int32Array | Float32Array;

/** Parts of a picture: `bytes` from each start on. */
export interface Lines {
  starts: number[];
  bytes: number;
}

/** What a call needs in the memory. */
export interface LoopData {
  pixels?: Uint8Array;
  /** The parts to copy instead of the whole picture. Later calls do not reuse them. */
  lines?: Lines | undefined;
  tables: Table[];
  /** Read and written. A tensor outside this memory is copied in, and back. */
  values: Float32Array;
  /** Bytes that the loop uses. */
  scratchBytes?: number;
}

/** Addresses of the data, in bytes. */
export interface LoopAddresses {
  /** Of the pixels, or of the lines, one after another. */
  pixels: number;
  tables: number[];
  values: number;
  scratch: number;
  /** Adds a small table. */
  put(table: Table): number;
}

/** For all small tables of a call. */
const SMALL_BYTES = 512;

const NO_PIXELS = new Uint8Array(0);

/** Calls a loop when its data is in the memory. */
export function callLoop<Result>(
  { pixels = NO_PIXELS, lines, tables, values, scratchBytes = 0 }: LoopData,
  call: (loops: Loops, at: LoopAddresses) => Result,
): Result {
  const pictureBytes = align(lines ? lines.starts.length * lines.bytes : pixels.length);
  const tableBytes = tables.reduce((sum, { byteLength }) => sum + align(byteLength), 0);
  const callBytes = tableBytes + align(scratchBytes) + SMALL_BYTES;
  const memory = findMemory({ pictureBytes, callBytes, values });
  const isInside = values.buffer === memory.bytes.buffer;
  let next = 0;
  const at: LoopAddresses = {
    pixels: lines ? placeLines(memory, pixels, lines) : placePicture(memory, pixels),
    tables: tables.map(put),
    values: isInside ? values.byteOffset : put(values),
    scratch: reserve(scratchBytes),
    put,
  };
  const result = call(memory.loops, at);
  if (!isInside) values.set(memory.floats.subarray(at.values / 4, at.values / 4 + values.length));
  return result;

  function put(table: Table): number {
    const address = reserve(table.byteLength);
    if (table instanceof Float32Array) memory.floats.set(table, address / 4);
    else if (table instanceof Int32Array) memory.ints.set(table, address / 4);
    else memory.shorts.set(table, address / 2);
    return address;
  }

  function reserve(bytes: number): number {
    const address = next;
    next += align(bytes);
    return address;
  }
}

interface Needs {
  pictureBytes: number;
  callBytes: number;
  values: Float32Array;
}

/** The shared memory, or a new one for a call that needs more than that has. */
function findMemory({ pictureBytes, callBytes, values }: Needs): LoopMemory {
  const memory = openShared();
  const outside = callBytes + align(values.byteLength);
  const needed = values.buffer === memory.bytes.buffer ? callBytes : outside;
  if (needed <= CALL_BYTES && pictureBytes <= PICTURE_BYTES) return memory;
  return openMemory({ callBytes: outside, pictureBytes });
}

function openShared(): LoopMemory {
  return (shared ??= openMemory({
    callBytes: CALL_BYTES,
    tensorBytes: TENSOR_BYTES,
    pictureBytes: PICTURE_BYTES,
  }));
}

interface Sizes {
  callBytes: number;
  tensorBytes?: number;
  pictureBytes: number;
}

function openMemory({ callBytes, tensorBytes = 0, pictureBytes }: Sizes): LoopMemory {
  const pictures = callBytes + tensorBytes;
  // A loop reads a byte after the last pixel.
  const loops = instantiate(pictures + pictureBytes + 1);
  return {
    loops,
    bytes: new Uint8Array(loops.memory),
    shorts: new Uint16Array(loops.memory),
    ints: new Int32Array(loops.memory),
    floats: new Float32Array(loops.memory),
    nextTensor: callBytes,
    pictures,
    nextPicture: pictures,
    places: new WeakMap(),
  };
}

/** Copies the picture to the memory unless it is there, and returns its address. */
function placePicture(memory: LoopMemory, pixels: Uint8Array): number {
  const known = memory.places.get(pixels);
  if (known !== undefined) return known;
  const address = reservePicture(memory, pixels.length);
  memory.bytes.set(pixels, address);
  memory.places.set(pixels, address);
  return address;
}

function placeLines(memory: LoopMemory, pixels: Uint8Array, { starts, bytes }: Lines): number {
  const address = reservePicture(memory, starts.length * bytes);
  for (const [i, start] of starts.entries())
    memory.bytes.set(pixels.subarray(start, start + bytes), address + i * bytes);
  return address;
}

function reservePicture(memory: LoopMemory, bytes: number): number {
  if (memory.nextPicture + bytes > memory.bytes.length) resetPictures(memory);
  const address = memory.nextPicture;
  memory.nextPicture += align(bytes);
  return address;
}

/** To the 16 bytes that loops read at once. */
function align(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

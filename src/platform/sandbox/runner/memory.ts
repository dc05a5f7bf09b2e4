import { limits } from './limits.ts'

interface Memory {
  buffer: ArrayBuffer
  grow(pages: number): number
}
declare const WebAssembly: { Memory: { prototype: Memory } }

const pageBytes = 65_536
const grow = WebAssembly.Memory.prototype.grow
let refusals = 0

// QuickJS's own limit counts neither long strings nor array buffers: with 8 MB allowed, it reached 2.2 GB.
WebAssembly.Memory.prototype.grow = function (this: Memory, pages: number) {
  if (this.buffer.byteLength + pages * pageBytes <= limits.memory) return grow.call(this, pages)
  refusals += 1
  throw new RangeError('The memory is full')
}

/** Whether more memory was wanted than there is. */
export const wasFull = (): boolean => refusals > 0

import type { Configuration } from '../engine.ts'
import type { Wiring } from '../wiring.ts'

/** What the engine is told of the parts that it can switch on. */
export type EngineFeatures = NonNullable<Configuration['features']>

/** A part of the protocol as a workspace has it. A new one is a file in this folder and a line in index.ts. */
export type Feature = (wiring: Wiring) => EngineFeatures

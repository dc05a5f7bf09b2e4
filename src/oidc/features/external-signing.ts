import type { Feature } from './feature.ts'

/** The engine takes keys that others sign by as an experiment, which one has to know of. */
export const externalSigning: Feature = ({ keys: { keys } }) =>
  keys.some(({ is }) => is === 'far') ? { externalSigningSupport: { enabled: true, ack: 'experimental-01' } } : {}

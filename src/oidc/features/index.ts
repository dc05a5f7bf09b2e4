import type { Wiring } from '../wiring.ts'
import type { EngineFeatures, Feature } from './feature.ts'
import { logout } from './logout.ts'
import { requests } from './requests.ts'
import { resources } from './resources.ts'
import { tokens } from './tokens.ts'

const features: Feature[] = [requests, tokens, resources, logout]

/** Everything that a workspace's engine has switched on. */
export const featuresOf = (wiring: Wiring): EngineFeatures => ({
  devInteractions: { enabled: false },
  clientCredentials: { enabled: true },
  ...Object.assign({}, ...features.map((feature) => feature(wiring))),
})

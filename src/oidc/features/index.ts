import type { Wiring } from '../wiring.ts'
import { certificates } from './certificates.ts'
import { ciba } from './ciba.ts'
import { details } from './details.ts'
import { device } from './device.ts'
import { dpop } from './dpop.ts'
import { externalSigning } from './external-signing.ts'
import type { EngineFeatures, Feature } from './feature.ts'
import { logout } from './logout.ts'
import { requests } from './requests.ts'
import { resources } from './resources.ts'
import { tokens } from './tokens.ts'

const features: Feature[] = [
  requests,
  certificates,
  dpop,
  tokens,
  resources,
  details,
  logout,
  device,
  ciba,
  externalSigning,
]

/** Everything that a workspace's engine has switched on. */
export const featuresOf = (wiring: Wiring): EngineFeatures => ({
  devInteractions: { enabled: false },
  clientCredentials: { enabled: true },
  ...Object.assign({}, ...features.map((feature) => feature(wiring))),
})

import type { EnginePages } from '../oidc/wiring.ts'
import type { Services } from '../services.ts'
import { addressKey, type Counter, take } from '../signin/limits.ts'

/** How often somebody may register clients, change them, or have documents of clients fetched. */
export const registrationLimits = ({ db, clock }: Services): Pick<EnginePages, 'mayRegister' | 'mayFetch'> => ({
  mayRegister({ ip }, { id: scope, settings: { registration } }, what) {
    const who = addressKey(ip)
    const here: Counter = {
      kind: 'registrations of address',
      scope,
      who,
      points: registration.per_hour_and_network,
    }
    const all: Counter = { kind: 'registrations', scope, who: 'all', points: registration.per_hour }
    return take(db, clock.now(), what === 'registration' ? [here, all] : [here])
  },

  mayFetch: ({ ip }, { id: scope }) =>
    take(db, clock.now(), [
      { kind: 'client documents of address', scope, who: addressKey(ip) },
      { kind: 'client documents', scope, who: 'all' },
    ]),
})

import { auth0 } from './auth0.ts'
import { cognito } from './cognito.ts'
import { keycloak } from './keycloak.ts'
import type { Preset, PresetName } from './preset.ts'

/** Every system whose files an import reads as they are. */
export const presets: readonly Preset[] = [auth0, cognito, keycloak]

export const presetNames = ['auth0', 'cognito', 'keycloak'] as const satisfies readonly PresetName[]

/** A preset by its name; undefined where none is asked for. */
export const findPreset = (name: PresetName | undefined): Preset | undefined =>
  presets.find((preset) => preset.name === name)

/** The member `packages` of a package-lock.json, by path. */
export type LockedPackages = Record<string, { version?: string; optional?: boolean }>;
export function isInstallCurrent(wanted: LockedPackages, installed: LockedPackages): boolean;

/** At most three digits, as a person says a figure. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  if (value < 10) return String(Math.round(value * 10) / 10 || '< 0.1');
  return String(Math.round(value));
}

export function formatMs(ms: number | null | undefined): string {
  if (ms === undefined || ms === null) return 'none';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function formatShare(share: number): string {
  return `${Math.round(share * 100)} %`;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = bytes < 1 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  return `${Math.round(bytes / 1000 ** power)} ${units[power]}`;
}

export function formatTime(at: number): string {
  return new Date(at).toLocaleTimeString();
}

interface ZoomBarProps {
  scale: number;
  zoom: (factor: number) => void;
  fit: () => void;
}

export function ZoomBar({ scale, zoom, fit }: ZoomBarProps) {
  return (
    <div className="zoom-bar" role="toolbar" aria-label="Zoom">
      <button type="button" className="icon-button" aria-label="Zoom out" onClick={() => zoom(0.8)}>
        −
      </button>
      <output className="zoom-scale" aria-label="Zoom level">
        {Math.round(scale * 100)}%
      </output>
      <button type="button" className="icon-button" aria-label="Zoom in" onClick={() => zoom(1.25)}>
        +
      </button>
      <button type="button" className="zoom-fit" onClick={fit}>
        Fit
      </button>
    </div>
  );
}
